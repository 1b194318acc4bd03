-- How full of coloured things the scene is that nobody tracked: see strefer_core/cascades/colour_evidence.py.
alter table masklets
    add column strewn_patches double precision,
    add constraint masklets_strewn_patches_in_range check (strewn_patches >= 0);
