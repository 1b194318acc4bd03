"""Whole drops and datasets held against expectations, and the gate that a drop must pass to be published.

    suites.py    what is expected, as data
    running.py   Great Expectations evaluates it on rows of the views `validated_*`
    pages.py     what came out, as a page and as JSON in the object store
    bars.py      a drop's figures against the bars of the settings: its gate

Row checks (`stages/quality.py`) look at one pair and keep out what is wrong; this looks at a drop as a whole
and finds what no row shows: half of the videos missing, one check that stops everything, another mixture than
last time, an id that leads nowhere.
"""
