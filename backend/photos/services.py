"""The app's door: what its pages, its API, its admin and its commands may call."""

from backend.photos.recording import Recorded as Recorded
from backend.photos.recording import give_up as give_up
from backend.photos.recording import record as record
