// Carries the precompiled header that the compile side shares.
