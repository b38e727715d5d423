"""Transforms on a device are a library's (``arrays.rfftn``); there are no loops here."""

LOOPS = False
