/* SPDX-License-Identifier: MIT */
#pragma once

#include "report/markup.h"
#include "report/page-parts.h"
#include "report/record.h"

/* The sections of a test's part of the page. Each writes nothing if there is nothing to show. */

/** How much the page may still grow while browsers can open it. */
typedef struct {
    gsize screenshots; /* bytes */
} SpPageBudget;

/** What failed: the script's line with those around it, what was expected and what was seen. */
void sp_section_failure(SpMarkup *markup, const SpRecord *record, SpPageBudget *budget);
/** When each machine was up, and what was done meanwhile. */
void sp_section_time_line(SpMarkup *markup, const SpRecord *record, SpPageBudget *budget);
/** What a power cut can do to the recorded disk. */
void sp_section_power_cuts(SpMarkup *markup, const SpRecord *record, SpPageBudget *budget);
/** The subtests as a table. */
void sp_section_subtests(SpMarkup *markup, const SpRecord *record, SpPageBudget *budget);
/** All steps, with the output of commands. */
void sp_section_steps(SpMarkup *markup, const SpRecord *record, SpPageBudget *budget);
/** The last lines that the script and programs on the host printed and logged. */
void sp_section_messages(SpMarkup *markup, const SpRecord *record, SpPageBudget *budget);
/** The last lines of each console. */
void sp_section_consoles(SpMarkup *markup, const SpRecord *record, SpPageBudget *budget);
/** The screenshots. */
void sp_section_screens(SpMarkup *markup, const SpRecord *record, SpPageBudget *budget);
/** Links to the other files in the test's directory. */
void sp_section_files(SpMarkup *markup, const SpRecord *record, SpPageBudget *budget);
