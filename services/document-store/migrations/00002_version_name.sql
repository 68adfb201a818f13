-- +goose Up

-- What a version is called. A signature around a document makes another file of it; empty
-- where it is called as its document is.
ALTER TABLE document_versions ADD COLUMN mime_type TEXT NOT NULL DEFAULT '';
ALTER TABLE document_versions ADD COLUMN file_name TEXT NOT NULL DEFAULT '';
