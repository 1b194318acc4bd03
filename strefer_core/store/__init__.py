"""Where results live: rows in Postgres (`catalog`), blobs in S3 or a folder (`objects`)."""
