/* SPDX-License-Identifier: MIT */
#pragma once

/* The file style.css beside this, as bytes of the program. */
extern const unsigned char sp_report_style[];
extern const unsigned int sp_report_style_size;
