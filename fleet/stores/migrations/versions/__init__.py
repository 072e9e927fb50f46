"""The revisions, oldest first by their numbers. What has been released is never edited."""
