"""Users, their contacts, the contacts' faces: whose face is this?"""
