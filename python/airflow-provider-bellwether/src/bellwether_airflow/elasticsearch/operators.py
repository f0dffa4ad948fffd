"""The operators for Elasticsearch and OpenSearch."""

from .document_operator import ElasticsearchOperator
from .index_operators import (
    ElasticsearchAliasOperator,
    ElasticsearchCreateIndexOperator,
    ElasticsearchDeleteIndexOperator,
    ElasticsearchPutIndexTemplateOperator,
)
from .job_operators import (
    ElasticsearchForceMergeOperator,
    ElasticsearchReindexOperator,
    ElasticsearchRestoreOperator,
    ElasticsearchSnapshotOperator,
)

__all__ = [
    "ElasticsearchAliasOperator",
    "ElasticsearchCreateIndexOperator",
    "ElasticsearchDeleteIndexOperator",
    "ElasticsearchForceMergeOperator",
    "ElasticsearchOperator",
    "ElasticsearchPutIndexTemplateOperator",
    "ElasticsearchReindexOperator",
    "ElasticsearchRestoreOperator",
    "ElasticsearchSnapshotOperator",
]
