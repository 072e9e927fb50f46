"""The report page: one conversion on one sheet, for a person.

``render`` makes ``report.html``, which travels in the artifact beside ``report.json``: the same
facts, laid out. The page is a single file that fetches nothing and runs nothing, reads well on a
phone, on paper and in the dark, and is a pure function of its arguments: the same report gives the
same bytes.
"""

from converters.report.page import render

__all__ = ["render"]
