"""`ElasticsearchOperator` by the name that article 000 imports it by."""

from bellwether_airflow.elasticsearch.operators import ElasticsearchOperator

__all__ = ["ElasticsearchOperator"]
