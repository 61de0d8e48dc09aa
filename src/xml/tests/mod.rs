//! What holds for the stages together; each file of the module also tests itself.

mod framing;
mod oracle;
mod round_trip;
mod well_formed;
