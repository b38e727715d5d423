"""What the engine runs on: back ends, compiling, threads, vectors, memory. Nothing here knows of convolutions."""
