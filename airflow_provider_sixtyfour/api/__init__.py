"""
The Sixtyfour Workflows API without Airflow and, at heart, without a socket.

A request is a value (`calls`), its answer is read by one function (`protocol`), one policy says whether and
when to try again (`retry`), and two thin transports share all of it (`client` on requests, `async_client` on
httpx). Importing this package imports no HTTP library.
"""
