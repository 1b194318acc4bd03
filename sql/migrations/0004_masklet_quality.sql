-- How good each track was when it was made. Null: there was nothing to measure it by.

alter table masklets
    add column assignment_score double precision,  -- mean match of the track with the entity's words
    add column redetection_share double precision,  -- of the looks with the mask: a box of its noun agrees
    add column area_jump double precision,  -- largest ratio of areas on neighbouring visible frames
    add column position_jump double precision,  -- largest step between these, in diagonals of the mask's box
    add column loss_sharpness double precision,  -- of the picture where the mask vanishes, over the median
    -- `<` also refuses NaN, which PostgreSQL sorts above everything: a NaN here is a bug, not a figure.
    add constraint masklets_shares_in_range check (
        assignment_score between 0 and 1 and redetection_share between 0 and 1
    ),
    add constraint masklets_jumps_in_range check (
        area_jump >= 1 and area_jump < 'infinity' and position_jump >= 0 and position_jump < 'infinity'
    ),
    add constraint masklets_loss_sharpness_in_range check (
        loss_sharpness >= 0 and loss_sharpness < 'infinity'
    );
