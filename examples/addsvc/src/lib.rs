//! Go kit's addsvc: sum and concat, over every transport.
