"""Elasticsearch and OpenSearch: operators, sensors, and what these stand on."""
