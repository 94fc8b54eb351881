"""Native functions for matrix products: register tiles, strips of them, and packing, as LLVM modules for any machine."""
