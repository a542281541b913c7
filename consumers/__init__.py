"""Streams and who reads them: windows, captures, watermarks, rewind.

Read in this order. Pure: errors, windows, positions, captures, netting,
lens, boundaries. Over a view:
registration (who reads), read and look (what is shown), backlog and history (where everybody
stands). In a transaction: streams, lifecycle, consume, copy_files (with
copy_names, row_files). Moves by hand: rewind_plan (what a plan
says), rewind_effects, rewind (planning), restore and execute (doing it).
"""
