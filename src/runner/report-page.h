/* SPDX-License-Identifier: MIT */
#pragma once

/* The file report.html beside this, as bytes of the program. */
extern const unsigned char sp_report_page[];
extern const unsigned int sp_report_page_size;
