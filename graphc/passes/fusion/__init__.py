"""How fusion chooses: clusters, what sinks from one into another, and which go under common outer loops."""
