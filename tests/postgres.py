"""Talks to a test's PostgreSQL past the code under test."""

from __future__ import annotations

import psycopg2


def statement(url: str, text: str) -> None:
    """Run one statement outside of any transaction."""
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        connection.cursor().execute(text)
    finally:
        connection.close()


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    """The rows of a query, past the code under test."""
    connection = psycopg2.connect(url)
    try:
        cursor = connection.cursor()
        cursor.execute(query)
        return cursor.fetchall()
    finally:
        connection.close()
