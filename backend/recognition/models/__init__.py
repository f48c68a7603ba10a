from backend.recognition.models.feedback import Feedback
from backend.recognition.models.galleries import (
    Contact,
    Distinct,
    Face,
    FaceCrop,
    Rejection,
    User,
)
from backend.recognition.models.operations import (
    DELETIONS,
    ENROLLING,
    OPEN,
    READING,
    Kind,
    Operation,
    OperationImage,
)
from backend.recognition.models.reembedding import OtherEncoding, Reembedding

__all__ = [
    "DELETIONS",
    "ENROLLING",
    "OPEN",
    "READING",
    "Contact",
    "Distinct",
    "Face",
    "FaceCrop",
    "Feedback",
    "Kind",
    "Operation",
    "OperationImage",
    "OtherEncoding",
    "Reembedding",
    "Rejection",
    "User",
]
