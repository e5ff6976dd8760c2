#ifndef SLUICE_RAFT_SCENARIOS_H
#define SLUICE_RAFT_SCENARIOS_H

#include <stddef.h>

// Figure 8 of the Raft paper on the linked library. 0 when it is safe; else `report` says what went wrong.
int scenario_figure8(char *report, size_t size);

#endif
