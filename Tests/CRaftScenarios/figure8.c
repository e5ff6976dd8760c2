#include "scenarios.h"
int scenario_figure8(char *report, size_t size) { (void)report; (void)size; return 0; }
