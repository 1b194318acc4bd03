"""How right the pairs are: signals of every object, and the filter that estimates from them.

`checks` names every signal; `tracks`, `segments` and `pairs` measure them; `features` is what the filter sees
of a pair; `filters` estimates the chance that it is wrong; `fitting` calibrates a filter on the world.
"""
