#include "control/cli/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/assertion.h"

#define GAP 2u
#define WIDTH_MIN 6u /* of a column that is cut */

const char *ctl_colour(enum ctl_colour colour)
{
	static const char *const sequences[] = {"\033[0m", "\033[1m", "\033[31m", "\033[32m", "\033[33m"};
	const char *without = getenv("NO_COLOR"), *terminal = getenv("TERM");
	bool wanted = isatty(STDOUT_FILENO) && (without == NULL || without[0] == '\0') && terminal != NULL && strcmp(terminal, "dumb") != 0;
	return wanted ? sequences[colour] : "";
}

size_t ctl_columns(void)
{
	struct winsize size;
	const char *given = getenv("COLUMNS");
	unsigned long columns = given == NULL ? 0 : strtoul(given, NULL, 10);
	if (columns > 0)
		return columns;
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : SIZE_MAX;
}

void ctl_table_init(struct ctl_table *table, const struct ctl_column *columns)
{
	*table = (struct ctl_table){.columns = columns};
	while (columns[table->column_count].head != NULL)
		table->column_count++;
	GYR_ASSERT(table->column_count <= CTL_TABLE_COLUMNS_MAX);
}

void ctl_table_cell(struct ctl_table *table, const char *text, enum ctl_colour colour)
{
	struct ctl_cell *grown = reallocarray(table->cells, table->cell_count + 1, sizeof *grown);
	GYR_ASSERT(grown != NULL);
	table->cells = grown;
	grown[table->cell_count] = (struct ctl_cell){.text = strdup(text), .colour = colour};
	GYR_ASSERT(grown[table->cell_count].text != NULL);
	table->cell_count++;
}

/* Characters, of UTF-8. */
static size_t width_of(const char *text)
{
	size_t width = 0;
	for (; *text != '\0'; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static size_t bytes_of(const char *text, size_t width)
{
	size_t at = 0;
	while (text[at] != '\0' && (width > 0 || ((unsigned char)text[at] & 0xc0) == 0x80)) {
		width -= ((unsigned char)text[at] & 0xc0) != 0x80;
		at++;
	}
	return at;
}

static void measure(const struct ctl_table *table, size_t *widths)
{
	size_t all = 0, room = ctl_columns();
	for (uint32_t c = 0; c < table->column_count; c++)
		widths[c] = width_of(table->columns[c].head);
	for (size_t i = 0; i < table->cell_count; i++) {
		size_t width = width_of(table->cells[i].text);
		if (width > widths[i % table->column_count])
			widths[i % table->column_count] = width;
	}
	for (uint32_t c = 0; c < table->column_count; c++)
		all += widths[c] + (c > 0 ? GAP : 0);
	while (all > room) {
		uint32_t widest = 0;
		for (uint32_t c = 1; c < table->column_count; c++)
			if (widths[c] > widths[widest])
				widest = c;
		if (widths[widest] <= WIDTH_MIN)
			return;
		widths[widest]--;
		all--;
	}
}

/* The last column is not padded. */
static void print_cell(const char *text, size_t width, bool right, bool last, enum ctl_colour colour)
{
	size_t wide = width_of(text);
	bool cut = wide > width;
	size_t shown = cut ? width - 3 : wide;
	printf("%*s%s%.*s%s%s", right && !cut ? (int)(width - wide) : 0, "", colour == CTL_PLAIN ? "" : ctl_colour(colour), (int)bytes_of(text, shown), text,
	       cut ? "..." : "", colour == CTL_PLAIN ? "" : ctl_colour(CTL_PLAIN));
	if (last)
		putchar('\n');
	else
		printf("%*s", (int)(GAP + (right || cut ? 0 : width - wide)), "");
}

void ctl_table_print(struct ctl_table *table)
{
	size_t widths[CTL_TABLE_COLUMNS_MAX];
	uint32_t count = table->column_count;
	GYR_ASSERT(table->cell_count % count == 0);
	measure(table, widths);
	for (uint32_t c = 0; c < count; c++)
		print_cell(table->columns[c].head, widths[c], table->columns[c].right, c + 1 == count, CTL_BOLD);
	for (size_t i = 0; i < table->cell_count; i++) {
		print_cell(table->cells[i].text, widths[i % count], table->columns[i % count].right, i % count + 1 == count, table->cells[i].colour);
		free(table->cells[i].text);
	}
	free(table->cells);
}
