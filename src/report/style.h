/* SPDX-License-Identifier: MIT */
#pragma once

/* The contents of style.css, built into the program. */
extern const unsigned char sp_report_style[];
extern const unsigned int sp_report_style_size;
