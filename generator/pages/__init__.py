"""Notes, links and results become pages: transclusion, backlinks in context, previews, lists.

`garden` is what the pages are made from, `fill` puts content into the holes of a note's body, `cell`
shows a cell with its outputs and evidence, `assemble` makes every page of the site.
"""
