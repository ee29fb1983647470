"""Workflows as code: parse, validate, compare."""
