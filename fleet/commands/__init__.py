"""What ``edge fleet …`` can do, a module for each thing to be done."""
