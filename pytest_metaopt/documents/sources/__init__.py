"""Files become values with positions: bounded, strict and in linear time."""
