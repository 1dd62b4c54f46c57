"""From the bytes of an image file to pixels: listing, headers, the one decoder, writing."""
