"""Albums, the members' reference faces, and the photos that a member is on."""
