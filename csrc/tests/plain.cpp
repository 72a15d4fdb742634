// Packing and products of numbers as they are, for a driver of runs and sums that are made of pieces by tiles.
#undef HG_TILES
#undef HG_ISA
#define HG_ISA portable
#include "../multiply.cpp"
#include "../pack.cpp"
