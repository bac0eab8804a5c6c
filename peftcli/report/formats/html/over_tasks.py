"""What a page says over all tasks: averages, differences from the reference, mean ranks."""

from peftcli.report.formats import over_tasks_table
from peftcli.report.formats.html import tables
from peftcli.report.formats.html.elements import Markup, bullets, join
from peftcli.report.table.table import Table


def render(table: Table) -> Markup:
    """Write the summary over tasks; nothing where the table has no average and fewer than five tasks."""
    sheet = over_tasks_table.make(table)
    if sheet is None:
        return Markup("")
    return join([tables.table(sheet, sheet.title, len(sheet.stub)), bullets(sheet.notes, class_="notes")])
