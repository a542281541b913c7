"""A year of New York's departures, replayed as the airports' board lived it.

Reading order: raw (the file), timeline (which change becomes known when), board (the tables and
one commit), consumers (who reads the stream), holder (the process that is killed), story (what
`make demo` prints), figures (its queries), oracle and checks (the same from the raw file).
"""
