/*
 * What gyrctl prints for people: tables that fit the terminal, and colours where they are wanted. Private to this folder.
 */
#ifndef GYR_CONTROL_CLI_TABLE_H
#define GYR_CONTROL_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ctl_colour { CTL_PLAIN, CTL_BOLD, CTL_RED, CTL_GREEN, CTL_YELLOW };

/* The sequence that begins COLOUR on stdout (CTL_PLAIN ends it), or "": no terminal, NO_COLOR is set, or TERM is dumb. */
const char *ctl_colour(enum ctl_colour colour);

/* Columns of the terminal that stdout is; SIZE_MAX where it is none. COLUMNS in the environment goes before. */
size_t ctl_columns(void);

#define CTL_TABLE_COLUMNS_MAX 12u

struct ctl_column {
	const char *head; /* NULL ends the list */
	bool right;       /* aligned */
};

struct ctl_table {
	const struct ctl_column *columns;
	uint32_t column_count;
	size_t cell_count;
	struct ctl_cell {
		char *text;
		enum ctl_colour colour;
	} *cells;
};

void ctl_table_init(struct ctl_table *table, const struct ctl_column *columns);
/* The next cell, row by row; TEXT is copied. */
void ctl_table_cell(struct ctl_table *table, const char *text, enum ctl_colour colour);
/* Prints the table and frees it. What does not fit the terminal is taken from the widest columns, whose cells then end with "...". */
void ctl_table_print(struct ctl_table *table);

#endif
