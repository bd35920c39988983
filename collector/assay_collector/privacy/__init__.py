"""The rights of persons: to know what is held, to be forgotten, to be left alone; and how long things are kept."""
