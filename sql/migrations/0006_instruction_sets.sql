-- Pairs of one video that are asked in the same words and answered differently are kept or left out together.

alter table instructions add column set_key text not null default '';  -- '': the pair stands alone
