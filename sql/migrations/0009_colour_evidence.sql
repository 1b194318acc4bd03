-- Whether the colour that an entity is named by fits its masks clearly, and whether anything untracked looks
-- alike: see strefer_core/cascades/colour_evidence.py.
alter table masklets
    add column colour_margin double precision,
    add column alike_share double precision,
    add constraint masklets_colour_evidence_in_range check (
        colour_margin between -1 and 1 and alike_share between 0 and 1
    );
