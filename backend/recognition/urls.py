from django.urls import re_path

from backend.recognition.rest import gallery_views, views

USERS = r"^recognition/users"
USER = rf"{USERS}/(?P<user_id>-?[0-9]+)"
CONTACTS = rf"{USER}/contacts"
CONTACT = rf"{CONTACTS}/(?P<contact_id>-?[0-9]+)"
FACES = rf"{CONTACT}/faces"
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"

urlpatterns = [
    re_path(rf"{USERS}/?$", views.UsersView.as_view(), name="users"),
    re_path(rf"{USER}/?$", views.UserView.as_view(), name="user"),
    re_path(rf"{USER}/faces/?$", views.UserFacesView.as_view(), name="user_faces"),
    # The contract spells it as Americans do, the house as it is spelt where it was born.
    re_path(rf"{USER}/recogni[sz]e/?$", views.RecogniseView.as_view(), name="recognise"),
    re_path(rf"{CONTACTS}/?$", views.ContactsView.as_view(), name="contacts"),
    re_path(rf"{CONTACT}/?$", views.ContactView.as_view(), name="contact"),
    re_path(rf"{CONTACT}/merge/?$", views.MergeView.as_view(), name="merge_contacts"),
    re_path(rf"{FACES}/?$", views.FacesView.as_view(), name="contact_faces"),
    re_path(rf"{FACES}/move/?$", views.MoveView.as_view(), name="move_faces"),
    re_path(rf"{FACES}/(?P<face_id>-?[0-9]+)/?$", views.FaceView.as_view(), name="gallery_face"),
    re_path(
        rf"^recognition/operations/(?P<id>{UUID})/?$",
        views.OperationView.as_view(),
        name="recognition_operation",
    ),
    re_path(
        rf"{USER}/answers/(?P<answer_id>{UUID})/feedback/?$",
        gallery_views.FeedbackView.as_view(),
        name="feedback",
    ),
    re_path(rf"{USER}/quality/?$", gallery_views.QualityView.as_view(), name="quality"),
    re_path(rf"{USER}/export/?$", gallery_views.ExportView.as_view(), name="export_user"),
    re_path(rf"{USER}/import/?$", gallery_views.ImportView.as_view(), name="import_user"),
    re_path(rf"{USER}/reembedding/?$", gallery_views.ReembeddingView.as_view(), name="reembedding"),
    re_path(r"^recognition/search/?$", gallery_views.SearchView.as_view(), name="search"),
]
