"""Reading video files: `index` (packets), `decode` (frames), `faults` (what is wrong with a bad file),
`figures` (cheap measures). The public functions are gathered in `strefer_core.video_io`."""
