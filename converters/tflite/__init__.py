"""TFLite files as flatbuffers: what is put into one without touching what is in it."""
