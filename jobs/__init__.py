"""What is done with a run or a source outside of the graph: one module a job."""
