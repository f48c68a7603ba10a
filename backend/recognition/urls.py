from django.urls import re_path

from backend.common.http.paths import UUID
from backend.recognition.rest import (
    doubts,
    feedback,
    galleries,
    operations,
    recognition,
    search,
    transfer,
    uploads,
)

USERS = r"^recognition/users"
USER = rf"{USERS}/(?P<user_id>-?[0-9]+)"
CONTACTS = rf"{USER}/contacts"
CONTACT = rf"{CONTACTS}/(?P<contact_id>-?[0-9]+)"
FACES = rf"{CONTACT}/faces"
FACE = rf"{FACES}/(?P<face_id>-?[0-9]+)"
OPERATION = rf"^recognition/operations/(?P<id>{UUID})"
ANSWER = rf"{USER}/answers/(?P<answer_id>{UUID})"

urlpatterns = [
    re_path(rf"{USERS}/?$", galleries.UsersView.as_view(), name="users"),
    re_path(rf"{USER}/?$", galleries.UserView.as_view(), name="user"),
    re_path(rf"{USER}/faces/?$", galleries.UserFacesView.as_view(), name="user_faces"),
    re_path(rf"{USER}/suggestions/?$", uploads.SuggestionsView.as_view(), name="suggestions"),
    re_path(rf"{USER}/unknown/?$", uploads.UnknownFacesView.as_view(), name="unknown_faces"),
    re_path(rf"{USER}/twins/?$", doubts.TwinsView.as_view(), name="twins"),
    re_path(rf"{USER}/undoable/?$", doubts.UndoableView.as_view(), name="undoable"),
    # The contract's spelling, and the British one of the rest of the service.
    re_path(rf"{USER}/recogni[sz]e/?$", recognition.RecogniseView.as_view(), name="recognise"),
    re_path(rf"{CONTACTS}/?$", galleries.ContactsView.as_view(), name="contacts"),
    re_path(rf"{CONTACT}/?$", galleries.ContactView.as_view(), name="contact"),
    re_path(rf"{CONTACT}/odd/?$", doubts.OddFacesView.as_view(), name="odd_faces"),
    re_path(rf"{CONTACT}/merge/?$", galleries.MergeView.as_view(), name="merge_contacts"),
    re_path(rf"{CONTACT}/rejections/?$", recognition.RejectionsView.as_view(), name="rejections"),
    re_path(rf"{CONTACT}/decisions/?$", uploads.DecisionsView.as_view(), name="decisions"),
    re_path(rf"{FACES}/?$", galleries.FacesView.as_view(), name="contact_faces"),
    re_path(rf"{FACES}/move/?$", galleries.MoveView.as_view(), name="move_faces"),
    re_path(rf"{FACE}/crop\.jpg$", galleries.CropView.as_view(), name="gallery_face_crop"),
    re_path(rf"{FACE}/?$", galleries.FaceView.as_view(), name="gallery_face"),
    re_path(rf"{OPERATION}/undo/?$", operations.UndoView.as_view(), name="undo"),
    re_path(rf"{OPERATION}/?$", operations.OperationView.as_view(), name="recognition_operation"),
    re_path(rf"{ANSWER}/feedback/?$", feedback.FeedbackView.as_view(), name="feedback"),
    re_path(rf"{USER}/quality/?$", feedback.QualityView.as_view(), name="quality"),
    re_path(rf"{USER}/reembedding/?$", feedback.ReembeddingView.as_view(), name="reembedding"),
    re_path(rf"{USER}/export/?$", transfer.ExportView.as_view(), name="export_user"),
    re_path(rf"{USER}/import/?$", transfer.ImportView.as_view(), name="import_user"),
    re_path(r"^recognition/search/?$", search.SearchView.as_view(), name="search"),
]
