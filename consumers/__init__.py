"""Streams and who reads them: windows, captures, watermarks, rewind."""
