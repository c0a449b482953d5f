/* SPDX-License-Identifier: MIT */
#pragma once

#include "report/markup.h"
#include "report/record.h"

/* The sections of a test's part of the page. Each writes nothing where there is nothing to show. */

/** How much a page may still grow, so that a browser can open it. */
typedef struct {
    gsize pictures; /* bytes */
} SpPageRoom;

/** What failed: the line of the script with those around it, what was expected and seen. */
void sp_section_failure(SpMarkup *markup, const SpRecord *record, SpPageRoom *room);
/** When which machine was up, and what was done meanwhile. */
void sp_section_time_line(SpMarkup *markup, const SpRecord *record, SpPageRoom *room);
/** What a power cut can do to the disk that was recorded. */
void sp_section_power_cuts(SpMarkup *markup, const SpRecord *record, SpPageRoom *room);
/** The subtests as a table. */
void sp_section_subtests(SpMarkup *markup, const SpRecord *record, SpPageRoom *room);
/** All steps, with what commands wrote. */
void sp_section_steps(SpMarkup *markup, const SpRecord *record, SpPageRoom *room);
/** The last of what the script printed and logged, and programs of the host wrote. */
void sp_section_messages(SpMarkup *markup, const SpRecord *record, SpPageRoom *room);
/** The last lines of each console. */
void sp_section_consoles(SpMarkup *markup, const SpRecord *record, SpPageRoom *room);
/** The screenshots. */
void sp_section_screens(SpMarkup *markup, const SpRecord *record, SpPageRoom *room);
/** What else lies in the test's folder. */
void sp_section_files(SpMarkup *markup, const SpRecord *record, SpPageRoom *room);

/** The file @name in the folder @dir, a regular one of @max bytes at most; NULL for any other. Free
 * with g_free(). */
char *sp_section_read_file(const char *dir, const char *name, gsize max, gsize *ret_length);
/** Whether the test is one that people look at first: neither passed nor stopped. */
bool sp_record_is_bad(const SpRecord *record);
/** Seconds for people: "0.02 s", "12.3 s", "2 min 05 s". Free with g_free(). */
char *sp_seconds_text(double seconds);
/** A share of the time line as the style @property: "left:12.34%". */
void sp_append_percent(GString *style, const char *property, double part, double whole);
/** The class that a step's bar is drawn by. */
const char *sp_step_class(const SpRecordStep *step);
/** As long as the time line is: some seconds at least, so that nothing is divided by 0. */
double sp_record_length(const SpRecord *record);
