"""The tour of the documents, done as it stands there."""
