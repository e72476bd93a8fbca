"""Rows of a table, copied from it and back into it."""

from .compiler import direct, jit


@jit
def _gather_rows(table, rows, count, chosen):
    for k in range(chosen.shape[0]):
        if k < min(count[0], rows.size) and 0 <= rows[k] < table.shape[0]:
            chosen[k] = table[rows[k]]
        else:
            chosen[k] = 0


@jit
def _scatter_rows(chosen, rows, count, table):
    for k in range(min(count[0], rows.size, chosen.shape[0])):
        if 0 <= rows[k] < table.shape[0]:
            table[rows[k]] = chosen[k]


gather_rows = direct(_gather_rows)
scatter_rows = direct(_scatter_rows)
